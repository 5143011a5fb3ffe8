// A server with tus-node-server 0.9. The argument is JSON: Host, Port and Dir.
const tus = require('tus-node-server')

const config = JSON.parse(process.argv[2])
const server = new tus.Server({path: '/files', respectForwardedHeaders: true})
server.datastore = new tus.FileStore({directory: config.Dir})
server.listen({host: config.Host, port: config.Port})
