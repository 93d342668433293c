const told = document.getElementById("report").dataset
const connected = told.mood === "good"
if (window.opener) {
  window.opener.postMessage({ type: "keyrack-connect", ...JSON.parse(told.facts) }, told.origin)
  if (connected) setTimeout(() => window.close(), 1500)
} else if (connected && told.next) {
  location.replace(told.next)
}
