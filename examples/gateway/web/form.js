'use strict'

const form = document.querySelector('form')
const bar = document.querySelector('#bar')
const state = document.querySelector('#state')
const cancel = document.querySelector('#cancel')

// The ID is the key to the status, so nobody may guess it.
function newID() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')
}

function megabytes(n) {
  return (n / 1e6).toFixed(1) + ' MB'
}

// send resolves when the gateway has the whole form. fetch cannot tell how far it
// is. The gateway reads no faster than the tus server takes, so that this progress
// is that of the whole way but for the last chunks.
function send(url, data) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', url)
    request.responseType = 'json'
    request.upload.onprogress = (event) => {
      bar.value = event.loaded / event.total
      state.textContent = `${megabytes(event.loaded)} of ${megabytes(event.total)}`
    }
    request.onload = () => {
      if (request.status === 202) resolve()
      else reject(new Error(request.response?.error ?? `status ${request.status}`))
    }
    // What refuses a form early may close the connection before its answer is seen.
    request.onerror = () => ended(url).then(() => resolve(), reject)
    request.onabort = () => reject(new Error('cancelled'))
    cancel.onclick = () => request.abort()
    request.send(data)
  })
}

// ended resolves with the status when the upload has ended.
async function ended(url) {
  for (;;) {
    const response = await fetch(url + '?wait=true')
    const status = await response.json()
    if (response.status === 202) continue
    if (!response.ok) throw new Error(status.error)
    if (status.state === 'failed') throw new Error(status.error)
    return status
  }
}

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const url = 'uploads/' + newID()
  const data = new FormData(form)
  form.inert = true
  cancel.hidden = false
  bar.value = 0
  try {
    await send(url, data)
    cancel.hidden = true
    state.textContent = 'Storing the last bytes …'
    const status = await ended(url)
    bar.value = 1
    state.textContent = `${status.filename}: ${megabytes(status.stored)} stored at ${status.url}`
  } catch (err) {
    state.textContent = `Not uploaded: ${err.message}.`
  } finally {
    form.inert = false
    cancel.hidden = true
  }
})
