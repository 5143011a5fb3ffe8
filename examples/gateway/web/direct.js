'use strict'

const form = document.querySelector('form')
const bar = document.querySelector('#bar')
const state = document.querySelector('#state')
const pause = document.querySelector('#pause')
const command = document.querySelector('#command')

form.addEventListener('submit', (event) => {
  event.preventDefault()
  const file = form.elements.file.files[0]
  const upload = new tus.Upload(file, {
    endpoint: form.dataset.endpoint,
    // With a URL nothing is created: the server is asked how much it has.
    uploadUrl: form.elements.url.value || null,
    metadata: { filename: file.name, filetype: file.type },
    retryDelays: [0, 1000, 3000, 5000],
    onUploadUrlAvailable() {
      form.elements.url.value = upload.url
      command.textContent = `tusup --upload-url '${upload.url}' FILE`
    },
    onProgress(sent, total) {
      bar.value = total ? sent / total : 1
      state.textContent = `${sent} of ${total} bytes`
    },
    onSuccess() {
      bar.value = 1
      state.textContent = `${file.name}: ${file.size} bytes stored at ${upload.url}`
      form.elements.url.value = ''
      pause.disabled = true
    },
    onError(err) {
      state.textContent = `Not uploaded: ${err.message}`
      pause.disabled = true
    },
  })
  pause.disabled = false
  pause.onclick = async () => {
    pause.disabled = true
    await upload.abort()
    state.textContent = 'Paused. Upload goes on with the URL above.'
  }
  upload.start()
})
