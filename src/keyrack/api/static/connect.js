/* Opens a Keyrack connect link in a popup and resolves with how it ended: docs/connect-links.md */
(() => {
  "use strict"
  const STATES = ["connected", "denied", "failed", "expired"]
  const LOOK = 400 // milliseconds between two looks whether the window is still there

  /* link: its url, or a promise of it, such as a request to your server that makes one.
     Call this in a click's handler at once, or the browser blocks the window.
     Resolves with { status, connect_link_id?, credential_id? | secret_id? }; the status is one of STATES,
     "blocked" (no window could be opened) or "closed" (it went away, or out of sight: ask your server). */
  const open = (link, { width = 520, height = 760 } = {}) =>
    new Promise((resolve, reject) => {
      const left = Math.max(0, window.screenX + (window.outerWidth - width) / 2)
      const top = Math.max(0, window.screenY + (window.outerHeight - height) / 2)
      const popup = window.open("", "_blank", `popup,width=${width},height=${height},left=${left},top=${top}`)
      if (!popup || popup.closed) {
        Promise.resolve(link).catch(() => {})
        resolve({ status: "blocked" })
        return
      }
      let origin = null
      let seenClosed = false
      const end = (settle, value) => {
        clearInterval(timer)
        window.removeEventListener("message", hear)
        settle(value)
      }
      const hear = (event) => {
        const told = event.data
        if (event.source !== popup || event.origin !== origin || !told) return
        if (told.type !== "keyrack-connect" || !STATES.includes(told.status)) return
        const { type, ...result } = told
        end(resolve, result)
      }
      const timer = setInterval(() => {
        if (popup.closed && seenClosed) end(resolve, { status: "closed" })
        seenClosed = popup.closed // once more, since a message may be on its way
      }, LOOK)
      window.addEventListener("message", hear)
      Promise.resolve(link)
        .then((address) => {
          const target = new URL(address)
          if (!/^https?:$/.test(target.protocol)) throw new TypeError("a connect link is an http or https address")
          origin = target.origin
          if (!popup.closed) popup.location.replace(target.href)
        })
        .catch((error) => {
          popup.close()
          end(reject, error)
        })
    })

  window.KeyrackConnect = Object.freeze({ open })
})()
