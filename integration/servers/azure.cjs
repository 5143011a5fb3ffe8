// The blob service of Azurite. The arguments are its own.
require('azurite/dist/src/blob/main.js')
