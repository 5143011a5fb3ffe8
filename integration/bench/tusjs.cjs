// Runs the upload task in the first argument with tus-js-client.
const fs = require('node:fs')
const path = require('node:path')
const tus = require('tus-js-client')

const task = JSON.parse(process.argv[2])

function upload(source, options) {
  return new Promise((resolve, reject) => {
    new tus.Upload(source, { endpoint: task.Endpoint, onSuccess: resolve, onError: reject, ...options }).start()
  })
}

async function many() {
  const names = fs.readdirSync(task.File)
  async function worker() {
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      const data = await fs.promises.readFile(path.join(task.File, name))
      await upload(data, { uploadDataDuringCreation: true })
    }
  }
  await Promise.all(Array.from({ length: task.Concurrency }, worker))
}

function one() {
  const options = {}
  if (task.Chunk) options.chunkSize = task.Chunk
  if (task.Parts) options.parallelUploads = task.Parts
  return upload(fs.createReadStream(task.File), options)
}

;(task.Concurrency ? many() : one()).catch((err) => {
  console.error(String(err))
  process.exit(1)
})
