// Package tus is a client for tus 1.0.0, the protocol for resumable uploads
// over HTTP (https://tus.io/protocols/resumable-upload).
//
//	client, err := tus.NewClient("https://example.org/files/", &tus.Options{Store: store})
//	…
//	result, err := client.UploadFile(ctx, "movie.mp4", nil)
//
// # The objects
//
// A [Client] talks to one server. It is made once, and is safe for concurrent
// use. A [Source] is what is uploaded: a file, a piece of memory, a stream. An
// [Uploader] is one upload of one source, a state machine that the Client's
// Upload methods drive and that a program may drive by hand, step by step. A
// [storage.Store] remembers upload URLs over the end of the process, by a
// [fingerprint.Fingerprinter] that recognises the source.
//
// # The life of an upload
//
// An Uploader begins in [StateIdle]. It looks at the source, asks the store whether an
// earlier session uploaded part of it, and asks the server for its capabilities if they
// make a difference. An upload that is found is resumed from the server's offset;
// otherwise a new one is created, and its URL is on disk before its first byte leaves. A
// small source goes with the creation, in a single request, if the server offers that
// ([UploadOptions.CreationLimit]) and no checksum protects the bytes.
//
//	         ┌──────── upload is gone ────────┐
//	         ▼                                │
//	Idle ─► Creating ─► Ready ◄──────────► Sending
//	 │                  ▲ │ ▲                 │ failed
//	 └─► Locating ──────┘ │ └── Recovering ◄──┘
//	                      ▼
//	           (Concatenating ─►) Finishing ─► Complete
//
// Then bytes are sent, all in one PATCH or in chunks of [UploadOptions.ChunkSize]. If the
// server's offset is unknown, because a connection broke or a response was lost or refused
// the offset, the client asks for it (HEAD) and sends from there. Acknowledged bytes are
// never resent. The whole table is at [State].
//
// Temporary failures are retried by [RetryPolicy], whose budget is renewed each time the
// acknowledged offset moves. A request has no total timeout, only one for bytes that do
// not move ([Options.StallTimeout]) and one for the server's work once all bytes have left
// ([Options.ResponseTimeout]). When the context ends, the upload is paused. It resumes
// with the same Uploader, with [Client.Resume] and its URL, or, with a store, when the
// same source is uploaded again, also after the process was killed.
//
// Once every byte was sent, nothing is sent again without your decision: an upload that
// the server does not confirm ends in [ErrUnconfirmed].
//
// # Many connections, many files, streams
//
// With [UploadOptions.Parallel] the source is sent in parts over several
// connections, and put together by the server. [Client.UploadAll] works through
// any number of uploads with a bounded number at the same time.
// [Reader] is a stream of unknown size.
//
// # What it costs
//
// Memory does not depend on the size of the source: about a hundred KiB for each
// connection, and two chunks for a stream. Files are sent by the kernel where it
// can (sendfile on Linux), without a copy in memory.
//
// # What is kept secret
//
// The caller's headers go to the origin of the endpoint and to no other, whatever
// a server says in a Location or redirect, unless [Options.TrustedOrigins] lists
// it. Errors name URLs without user, password and query.
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
