// A server with @tus/server, of version 1 or 2. The argument is JSON: Host, Port, Dir, and
// optionally Expires (milliseconds), Finish (whether onUploadFinish is set) and S3 (endpoint,
// bucket and keys).
const {Server} = require('@tus/server')

const config = JSON.parse(process.argv[2])

function datastore() {
	if (!config.S3) {
		const {FileStore} = require('@tus/file-store')
		return new FileStore({directory: config.Dir, expirationPeriodInMilliseconds: config.Expires})
	}
	const {S3Store} = require('@tus/s3-store')
	return new S3Store({
		partSize: 8 * 1024 * 1024,
		s3ClientConfig: {
			endpoint: config.S3.Endpoint,
			bucket: config.S3.Bucket,
			region: 'us-east-1',
			forcePathStyle: true,
			credentials: {accessKeyId: config.S3.Key, secretAccessKey: config.S3.Secret},
		},
	})
}

const options = {path: '/files', datastore: datastore(), respectForwardedHeaders: true}
if (config.Finish) {
	// As the documentation of @tus/server shows it: the response to the last bytes is changed.
	options.onUploadFinish = async (req, ...rest) => {
		const answer = {status_code: 200, headers: {'Upload-State': 'processed'}, body: 'processed'}
		// The response is an argument before version 2.
		return rest.length > 1 ? rest[0] : answer
	}
}
new Server(options).listen({host: config.Host, port: config.Port})
