'use strict'

const form = document.querySelector('form')
const bar = document.querySelector('#bar')
const state = document.querySelector('#state')
const cancel = document.querySelector('#cancel')

// The ID gives access to the status, so it must be hard to guess.
function newID() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')
}

function megabytes(n) {
  return (n / 1e6).toFixed(1) + ' MB'
}

// send resolves when the gateway has the whole form. It uses XMLHttpRequest because fetch
// has no progress events. The gateway reads at the speed of the tus server, so the progress
// includes the tus server, except for the last chunks.
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
      else reject(notUploaded(request.response?.error ?? `status ${request.status}`))
    }
    // The response to a refused form may be lost when the connection is closed.
    request.onerror = () => ended(url).then(() => resolve(), reject)
    // The whole form may already have been sent.
    request.onabort = () => ended(url).then(() => resolve(), () => reject(new Error('Canceled.')))
    cancel.onclick = () => request.abort()
    request.send(data)
  })
}

function notUploaded(reason) {
  return new Error(`Not uploaded: ${reason}.`)
}

// ended resolves with the status when the upload has ended. It retries requests without a
// response: they do not affect the upload.
async function ended(url) {
  for (let failures = 0; ; ) {
    let response, status
    try {
      response = await fetch(url + '?wait=true')
      status = await response.json()
    } catch {
      if (++failures === 5) throw new Error('The gateway does not respond: the upload may have failed.')
      await new Promise((resolve) => setTimeout(resolve, 1000 * failures))
      continue
    }
    failures = 0
    if (response.status === 202) continue
    if (!response.ok || status.state === 'failed') throw notUploaded(status.error)
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
    state.textContent = err.message
  } finally {
    form.inert = false
    cancel.hidden = true
  }
})
