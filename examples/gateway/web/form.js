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
      else reject(notUploaded(request.response?.error ?? `status ${request.status}`))
    }
    // What refuses a form early may close the connection before its answer is seen.
    request.onerror = () => ended(url).then(() => resolve(), reject)
    // All of it may have been on its way already.
    request.onabort = () => ended(url).then(() => resolve(), () => reject(new Error('Cancelled.')))
    cancel.onclick = () => request.abort()
    request.send(data)
  })
}

function notUploaded(reason) {
  return new Error(`Not uploaded: ${reason}.`)
}

// ended resolves with the status when the upload has ended. It asks again if there is
// no answer: the upload does not depend on that.
async function ended(url) {
  for (let unanswered = 0; ; ) {
    let response, status
    try {
      response = await fetch(url + '?wait=true')
      status = await response.json()
    } catch {
      if (++unanswered === 5) throw new Error('Perhaps not uploaded: the gateway does not answer any more.')
      await new Promise((resolve) => setTimeout(resolve, 1000 * unanswered))
      continue
    }
    unanswered = 0
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
