// Search runs in a worker, which browsers deny to pages that are read from disk: there a hidden frame does its work.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe"), script = document.createElement("script")
      frame.hidden = true
      script.src = url
      this.inside = new Promise((resolve) => {
        script.onload = () => resolve(frame.contentWindow)
        frame.onload = () => {
          frame.contentWindow.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
          frame.contentDocument.body.append(script)
        }
      })
      document.body.append(frame)
    }
    postMessage(data) {
      this.inside.then((inside) => inside.dispatchEvent(new MessageEvent("message", { data })))
    }
  }
