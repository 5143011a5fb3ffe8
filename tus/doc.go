// Package tus is a client for tus 1.0.0, the protocol for resumable uploads over HTTP
// (https://tus.io/protocols/resumable-upload).
//
//	client, err := tus.NewClient("https://example.org/files/", &tus.Options{Store: store})
//	…
//	result, err := client.UploadFile(ctx, "movie.mp4", nil)
//
// # Types
//
// A [Client] creates and resumes uploads on one server. It is safe for concurrent use. A
// [Source] is the data to upload: a file, bytes in memory, a stream. An [Uploader] is one
// upload of one source, a state machine that is driven by the Upload methods of the Client,
// or step by step by a program. A [storage.Store] keeps upload URLs across processes; a
// [fingerprint.Fingerprinter] identifies the source.
//
// # The life of an upload
//
// An Uploader starts in [StateIdle]. It inspects the source, looks it up in the store, and
// requests the server's capabilities if the upload depends on them. A stored upload is
// resumed from the server's offset; with [Options.RememberCompleted], one that is complete
// leads to [StateComplete] at once. Otherwise a new one is created, and its URL is stored
// before its first byte is sent. A small source is sent in the request that creates the
// upload, if the server supports that ([UploadOptions.CreationLimit]) and no checksum is
// used. [UploadOptions.FirstChunkInCreation] sends the first chunk of others there, too.
//
//	         ┌──────── upload is gone ────────┐
//	         ▼                                │
//	Idle ─► Creating ─► Ready ◄──────────► Sending
//	 │                  ▲ │ ▲                 │ failed
//	 ├─► Locating ──────┘ │ └── Recovering ◄──┘
//	 │      │             ▼
//	 │      │  (Concatenating ─►) Finishing ─► Complete
//	 └──────┴───────── already complete ──────────▲
//
// The bytes are sent in few PATCH requests or in chunks of [UploadOptions.ChunkSize]. If the server's
// offset is unknown, because a connection broke, or a response was lost or refused the
// offset, the client requests it (HEAD). Acknowledged bytes are never resent. The table at
// [State] lists all transitions.
//
// Temporary failures are retried as [RetryPolicy] specifies; the count restarts when the
// acknowledged offset advances. A request has no total timeout, only a stall timeout
// ([Options.StallTimeout]) and one for the response ([Options.ResponseTimeout]). When the
// context ends, the upload is paused. It can be resumed by the same Uploader, by
// [Client.Resume] with its URL, or, with a store, by the next upload of the same source,
// also after the process was killed.
//
// If every byte was sent but the server does not acknowledge that the upload is complete,
// the client resends nothing on its own: the error matches [ErrUnconfirmed].
//
// # Parts, batches, streams
//
// With [UploadOptions.Parallel] the source is sent in parts over several connections, and
// the server concatenates them. [Client.UploadAll] uploads many sources, a limited number
// at the same time; [DirJobs] returns those of a directory. [Reader] uploads a stream of
// unknown size, [ReaderN] one of known size, and a [Writer] what is written to it.
//
// # Costs
//
// Memory does not depend on the size of the source: it is about 100 KiB per connection, and
// two chunks for a stream. Files are not copied through memory where the kernel can send
// them (sendfile on Linux).
//
// # Secrets
//
// [Options.Header] and [UploadOptions.Header] are sent to the origin of the endpoint and to
// [Options.TrustedOrigins], and to no other origin of a Location or redirect. URLs in errors
// have no user, password and query.
//
// # Errors
//
// Conditions that a program may handle are Err… variables for [errors.Is]. A failed request
// is an [*Error] for [errors.As], with method, URL, status and offset: the status is 423,
// for example, if an upload is locked, and 409 if a name is taken at the creation. An error
// is returned when its retries are used up; [IsRetryable] reports whether further ones may
// succeed. In the table, "upload again" means to upload the same source again, in this
// process or a later one: with a store, that resumes the upload.
//
//	error                retry?  what to do
//	-------------------  ------  ------------------------------------------------
//	ErrInvalidInput      no      correct the argument or option
//	ErrProtocol          no      look for a proxy or login page; upload again
//	ErrUnsupported       no      do without the option, or check the endpoint, or
//	                             set Options.Capabilities if OPTIONS is wrong
//	ErrTooLarge          no      if a proxy limits requests, set ChunkSize, or
//	                             MinChunkSize to find the limit
//	ErrUploadGone        no      request another upload URL; an upload that the
//	                             client created starts over by itself
//	ErrChecksumMismatch  yes     if it persists, check memory and proxies
//	ErrUnauthorized      no      renew the credentials, upload again
//	ErrStalled           yes     check the link; for a slow server, set a longer
//	                             ResponseTimeout
//	ErrSourceChanged     no      upload again when nothing writes to the source
//	ErrSourceMismatch    no      check that URL and source belong together, and the size
//	                             of a ReaderN or Writer
//	ErrUnconfirmed       no      check the server: the upload may be complete.
//	                             To upload again, delete the stored record
//	ErrPaused            yes     Run or Step
//	ErrAborted           no      upload again
//	ErrStore             no      fix the store; its own error is wrapped
//	ErrLeaseLost         no      leave the upload to the holder of its lease
//	ErrNotRecoverable    no      start the stream over
//	ErrBusy              no      let one goroutine drive an Uploader
//
// Other errors are not in the table. A [*HeldError] is returned when another Uploader holds
// a stored upload, and has the end of its lease. A [*StoredError] is returned when the
// server keeps refusing a stored upload, and has the ID of the record to delete; if the server
// refuses to show the upload, [UploadOptions.Refused] can start over. The rest are
// errors of the context, after which the upload can be resumed, of the source
// (os.ErrDeadlineExceeded after [Options.SourceTimeout]), of hooks and of the network.
//
// The next upload starts over after ErrSourceChanged and ErrSourceMismatch, and after
// ErrNotRecoverable if the source cannot be read from the offset. Stats.Restarts counts it.
package tus
