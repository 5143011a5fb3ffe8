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
// [Source] is what is uploaded: a file, bytes in memory, a stream. An [Uploader] is one
// upload of one source, a state machine that the Upload methods of the Client drive, or a
// program step by step. A [storage.Store] keeps upload URLs beyond the end of the process;
// a [fingerprint.Fingerprinter] identifies the source.
//
// # The life of an upload
//
// An Uploader begins in [StateIdle]. It looks at the source, asks the store for an earlier
// upload of it, and asks the server for its capabilities if they make a difference. An
// upload that is found is resumed from the offset of the server; otherwise a new one is
// created, and its URL is stored before its first byte is sent. A small source is sent in
// the request that creates the upload, if the server supports that
// ([UploadOptions.CreationLimit]) and no checksum is used.
//
//	         ┌──────── upload is gone ────────┐
//	         ▼                                │
//	Idle ─► Creating ─► Ready ◄──────────► Sending
//	 │                  ▲ │ ▲                 │ failed
//	 └─► Locating ──────┘ │ └── Recovering ◄──┘
//	                      ▼
//	           (Concatenating ─►) Finishing ─► Complete
//
// Then the bytes are sent, all in one PATCH or in chunks of [UploadOptions.ChunkSize]. If
// the server's offset is unknown, because a connection broke, or a response was lost or
// refused the offset, the client asks for it (HEAD). Acknowledged bytes are never resent.
// [State] has the table of all transitions.
//
// Temporary failures are retried by [RetryPolicy], whose budget is renewed when the
// acknowledged offset moves. A request has no total timeout, only one for a connection on
// which no byte moves ([Options.StallTimeout]) and one for the response
// ([Options.ResponseTimeout]). When the context ends, the upload is paused. It is resumed by
// the same Uploader, by [Client.Resume] with its URL, or, with a store, by the next upload of
// the same source, also after the process was killed.
//
// After every byte was sent, nothing is resent unless the program decides so: an upload that
// the server does not confirm ends in [ErrUnconfirmed].
//
// # Parts, batches, streams
//
// With [UploadOptions.Parallel] the source is sent in parts over several connections, and
// concatenated by the server. [Client.UploadAll] uploads any number of sources, a limited
// number at the same time. [Reader] is a stream of unknown size.
//
// # Costs
//
// Memory does not depend on the size of the source: about a hundred KiB for each connection,
// and two chunks for a stream. Where the kernel can send files (sendfile on Linux), they are
// not copied through memory.
//
// # Secrets
//
// The caller's header is sent to the origin of the endpoint and to no other that a Location
// or redirect names, unless [Options.TrustedOrigins] lists it. Errors name URLs without
// user, password and query.
//
// # Errors
//
// Conditions on which a program acts differently are Err… variables for [errors.Is]. A
// failed request is an [*Error] for [errors.As], with method, URL, status and offset: its
// status tells, for example, that an upload is locked (423) or that a name is taken (409 to
// a creation). Retries have been used up when a caller sees an error; [IsRetryable] reports
// whether more may help. With a store, uploading again means to upload the same source
// again, in this process or a later one: it resumes.
//
//	error                retry?  what to do
//	-------------------  ------  ------------------------------------------------
//	ErrInvalidInput      no      correct the argument or option
//	ErrProtocol          no      look for a proxy or login page; upload again
//	ErrUnsupported       no      do without the option, or check the endpoint, or
//	                             set Options.Capabilities if OPTIONS is wrong
//	ErrTooLarge          no      if a proxy limits requests, set ChunkSize, or
//	                             MinChunkSize to find the limit
//	ErrUploadGone        no      ask for another upload URL; an upload that the
//	                             client created starts over by itself
//	ErrChecksumMismatch  yes     if it stays, check memory and what changes bytes
//	                             between client and server
//	ErrUnauthorized      no      renew the credentials, upload again
//	ErrStalled           yes     check the link; for a slow server, set a longer
//	                             ResponseTimeout
//	ErrSourceChanged     no      upload again when nothing writes to the source
//	ErrSourceMismatch    no      check that URL and source belong together
//	ErrUnconfirmed       no      look at the server: the upload may be complete.
//	                             To upload again, delete the stored record
//	ErrPaused            yes     Run or Step
//	ErrAborted           no      upload again
//	ErrStore             no      repair the store; its own error is wrapped
//	ErrLeaseLost         no      leave the upload to the holder of its lease
//	ErrNotRecoverable    no      start the stream over
//	ErrBusy              no      let one goroutine drive an Uploader
//
// Three kinds of errors are not in the table. A [*HeldError] tells how long another
// Uploader may hold a stored upload. A [*StoredError] names the record to delete if the
// server keeps refusing a stored upload. Other errors are those of the context, after which
// the upload can be resumed, of the source (os.ErrDeadlineExceeded after
// [Options.SourceTimeout]), of hooks and of the network.
//
// After ErrSourceChanged and ErrSourceMismatch the next upload starts over, and after
// ErrNotRecoverable if the source cannot be read from the offset, which
// Stats.Restarts counts.
package tus
