'use strict'

const form = document.querySelector('form')
const bar = document.querySelector('#bar')
const state = document.querySelector('#state')
const pause = document.querySelector('#pause')
const command = document.querySelector('#command')

// quote returns text as one argument of a shell.
function quote(text) {
  return "'" + text.replaceAll("'", "'\\''") + "'"
}

// setActive prevents a second upload to the same URL.
function setActive(active) {
  form.inert = active
  pause.hidden = !active
}

form.addEventListener('submit', (event) => {
  event.preventDefault()
  const file = form.elements.file.files[0]
  const upload = new tus.Upload(file, {
    endpoint: form.dataset.endpoint,
    // With a URL, the client requests the offset instead of creating an upload.
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
      setActive(false)
      bar.value = 1
      state.textContent = `${file.name}: ${file.size} bytes stored at ${upload.url}`
      form.elements.url.value = ''
    },
    onError(err) {
      setActive(false)
      state.textContent = `Failed: ${err.message}`
    },
  })
  pause.onclick = async () => {
    setActive(false)
    await upload.abort()
    state.textContent = upload.url ? 'Paused. Upload again to resume at the URL above.' : 'Stopped before the upload was created.'
  }
  setActive(true)
  bar.value = 0
  upload.start()
})
