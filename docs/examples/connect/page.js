const texts = {
  connected: "Your account is connected.",
  denied: "You did not allow it. Nothing was connected.",
  failed: "That did not work. Nothing was connected.",
  expired: "That took too long. Press the button again.",
  opened: "You have not finished yet. Go on in the other window, or press the button again.",
  pending: "You have not finished yet. Press the button again.",
  blocked: "Your browser blocked the window. Allow windows for this page, then press the button again.",
}
const result = document.getElementById("result")
const asJson = async (answer) => {
  if (!answer.ok) throw new Error(`the server said ${answer.status}`)
  return answer.json()
}

document.getElementById("connect").addEventListener("click", async () => {
  // The window opens at once, as browsers demand; the link is made by our server meanwhile.
  const made = fetch("links", { method: "POST" }).then(asJson)
  try {
    const told = await KeyrackConnect.open(made.then((link) => link.url))
    if (told.status === "blocked") {
      result.textContent = texts.blocked
      return
    }
    // What the window said is a hint that it is time to look. What counts is what our server is told.
    const { id } = await made
    const { status } = await fetch(`links/${id}`).then(asJson)
    result.textContent = texts[status]
    result.dataset.told = told.status
  } catch (error) {
    result.textContent = `That did not work: ${error.message}`
  }
})
