'use strict'

const form = document.querySelector('form')
const bar = document.querySelector('#bar')
const state = document.querySelector('#state')
const pause = document.querySelector('#pause')
const command = document.querySelector('#command')

// quote makes an argument for a shell of what a server said.
function quote(text) {
  return "'" + text.replaceAll("'", "'\\''") + "'"
}

// busy keeps a second upload from being begun: two would fight for one URL.
function busy(yes) {
  form.inert = yes
  pause.hidden = !yes
}

form.addEventListener('submit', (event) => {
  event.preventDefault()
  const file = form.elements.file.files[0]
  const upload = new tus.Upload(file, {
    endpoint: form.dataset.endpoint,
    // With a URL nothing is created: the server is asked how much it has.
    uploadUrl: form.elements.url.value || null,
    storeFingerprintForResuming: false, // the field has the URL
    metadata: { filename: file.name, filetype: file.type },
    retryDelays: [0, 1000, 3000, 5000],
    onUploadUrlAvailable() {
      form.elements.url.value = upload.url
      command.textContent = `tusup --upload-url ${quote(upload.url)} FILE`
    },
    onProgress(sent, total) {
      bar.value = total ? sent / total : 1
      state.textContent = `${sent} of ${total} bytes`
    },
    onSuccess() {
      busy(false)
      bar.value = 1
      state.textContent = `${file.name}: ${file.size} bytes stored at ${upload.url}`
      form.elements.url.value = ''
    },
    onError(err) {
      busy(false)
      state.textContent = `Failed: ${err.message}`
    },
  })
  pause.onclick = async () => {
    busy(false)
    await upload.abort()
    state.textContent = upload.url ? 'Paused. Upload goes on with the URL above.' : 'Stopped before it began.'
  }
  busy(true)
  bar.value = 0
  upload.start()
})
