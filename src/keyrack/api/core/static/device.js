const copy = document.getElementById("copy")
copy.hidden = !navigator.clipboard
copy.addEventListener("click", async () => {
  await navigator.clipboard.writeText(document.getElementById("user-code").textContent)
  copy.textContent = "Copied"
})
const look = async () => {
  try {
    const answer = await fetch(location.href, { headers: { "x-keyrack-look": "1" }, cache: "no-store" })
    if (answer.status !== 204 && answer.status < 429) {
      location.reload()
      return
    }
  } catch {
    // not reachable just now: it looks again
  }
  setTimeout(look, 3000)
}
setTimeout(look, 3000)
