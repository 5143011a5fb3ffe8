// Runs the upload task in the first argument with tus-js-client, and prints the
// upload URL and whether the upload is complete.
const fs = require('node:fs')
const { PassThrough } = require('node:stream')
const tus = require('tus-js-client')

const task = JSON.parse(process.argv[2])

function source() {
  // By the IETF draft, tus-js-client 4.3.1 never completes a file that it sends in chunks: only
  // a chunk of the size of the file gets Upload-Complete: ?1. It finds the end of a buffer.
  if (task.Buffer) return fs.readFileSync(task.File)
  if (!task.DeferLength) return fs.createReadStream(task.File)
  // With a deferred length, tus-js-client 4.3.1 never finds the end of a file: the last
  // chunk gets the Content-Length of a full one. It finds the end of a stream, but
  // cannot resume a stream. A buffer has neither problem, but its size is known.
  if (task.URL) return fs.readFileSync(task.File)
  return fs.createReadStream(task.File).pipe(new PassThrough())
}

function end(upload, complete) {
  process.stdout.write(JSON.stringify({ URL: upload.url, Complete: complete }), () => process.exit(0))
}

let stopping = false

// stop aborts the upload and exits, like a user who closes the program.
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
  metadata: task.Metadata || {},
  retryDelays: task.Retries ? Array(task.Retries).fill(0) : null, // without, any failure fails the test
  onError(err) {
    console.error(String(err))
    process.exit(1)
  },
  onSuccess() {
    if (!stopping) end(upload, true)
  },
  onChunkComplete(size, acknowledged) {
    if (task.StopAt && acknowledged >= task.StopAt) stop(upload)
  },
}
if (task.Protocol) options.protocol = task.Protocol
if (task.ChunkSize) options.chunkSize = task.ChunkSize

const upload = new tus.Upload(source(), options)
// The end of standard input cuts the request in flight.
process.stdin.on('end', () => stop(upload)).resume()
upload.start()
