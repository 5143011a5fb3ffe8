// Uploads as the task in the first argument says, with tus-js-client, and prints
// what came of it: the upload URL, and whether it is complete.
const fs = require('node:fs')
const { PassThrough } = require('node:stream')
const tus = require('tus-js-client')

const task = JSON.parse(process.argv[2])

function source() {
  if (!task.DeferLength) return fs.createReadStream(task.File)
  // Of a file, tus-js-client 4.3.1 never sees the end when the length is deferred: the
  // last chunk gets the Content-Length of a full one. Of a stream it sees the end, but
  // can send no later part. A buffer has neither problem, but tells its length.
  if (task.URL) return fs.readFileSync(task.File)
  return fs.createReadStream(task.File).pipe(new PassThrough())
}

function end(upload, complete) {
  process.stdout.write(JSON.stringify({ URL: upload.url, Complete: complete }), () => process.exit(0))
}

let stopping = false

// stop pauses as a user would who closes the program.
async function stop(upload) {
  if (stopping) return
  stopping = true
  await upload.abort()
  end(upload, false)
}

const options = {
  endpoint: task.Endpoint || null,
  uploadUrl: task.URL || null,
  uploadLengthDeferred: task.DeferLength,
  uploadDataDuringCreation: task.WithCreation,
  metadata: task.Metadata,
  retryDelays: null, // whatever fails, fails the test
  onError(err) {
    console.error(String(err))
    process.exit(1)
  },
  onSuccess() {
    if (!stopping) end(upload, true)
  },
  onChunkComplete(size, accepted) {
    if (task.StopAt && accepted >= task.StopAt) stop(upload)
  },
}
if (task.ChunkSize) options.chunkSize = task.ChunkSize

const upload = new tus.Upload(source(), options)
// The end of the standard input cuts the request under way, wherever it is.
process.stdin.on('end', () => stop(upload)).resume()
upload.start()
