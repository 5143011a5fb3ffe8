// A server with @uploadx/core and express. The argument is JSON: Host, Port, Dir and optionally
// Expires (milliseconds).
const express = require('express')
const {tus} = require('@uploadx/core')

const config = JSON.parse(process.argv[2])
const options = {directory: config.Dir, maxUploadSize: '10GB', allowMIME: ['*/*']}
if (config.Expires) {
	options.expiration = {maxAge: config.Expires, purgeInterval: 0}
}
const app = express()
app.set('trust proxy', true)
app.use('/files', tus(options))
app.listen(config.Port, config.Host)
