package tus

import (
	"context"
	"slices"
	"strconv"
)

// State is where an [Uploader] is in the life of its upload.
//
//	state          a Step does                       and leads to
//	-------------  --------------------------------  ------------------------------
//	Idle           look at the source, and in the    Creating; Locating if the store
//	               store; ask what the server        knows earlier uploads;
//	               supports (OPTIONS)                Recovering if the URL is given
//	Locating       ask for an earlier upload (HEAD)  Ready with the furthest one;
//	               that is not held                  Idle if none is left
//	Creating       POST                              Ready; Recovering if the answer
//	                                                 cannot be trusted
//	Ready          choose the next chunk             Sending; Finishing when all is
//	                                                 acknowledged; Concatenating when
//	                                                 all parts are; Paused at StopAt
//	Sending        PATCH                             Ready; after a failure
//	                                                 Recovering; Creating if the
//	                                                 server forgot the upload, Idle
//	                                                 if that was of another session
//	Recovering     HEAD                              Ready, or Creating or Idle,
//	                                                 likewise; Sending if an empty
//	                                                 upload takes a PATCH
//	Concatenating  POST of the final upload          Ready; Recovering if the server
//	                                                 has not all parts any more
//	Finishing      remove the upload from the store  Complete
//	Paused         nothing                           Recovering; Idle when nothing was
//	                                                 created yet; Finishing when all is
//	                                                 acknowledged
//
// From any of these, the end of the context or [Uploader.Pause] leads to
// Paused, an error that is not worth a retry to Failed, and [Uploader.Abort]
// to Aborted. Complete, Failed and Aborted are final.
//
// A parallel upload takes the same way. Its Step in Creating creates all parts
// and in Sending sends them all, each part with an Uploader of its own.
type State int

// The states of an [Uploader]; [State] has their table.
const (
	StateIdle State = iota
	StateLocating
	StateCreating
	StateReady
	StateSending
	StateRecovering
	StateConcatenating
	StateFinishing
	StatePaused
	StateComplete
	StateFailed
	StateAborted
)

// Final reports whether no Step leads out of s.
func (s State) Final() bool {
	return s == StateComplete || s == StateFailed || s == StateAborted
}

// String returns the state's name in lower case.
func (s State) String() string {
	names := [...]string{
		StateIdle: "idle", StateLocating: "locating", StateCreating: "creating", StateReady: "ready",
		StateSending: "sending", StateRecovering: "recovering", StateConcatenating: "concatenating",
		StateFinishing: "finishing", StatePaused: "paused",
		StateComplete: "complete", StateFailed: "failed", StateAborted: "aborted",
	}
	if s < 0 || int(s) >= len(names) {
		return "State(" + strconv.Itoa(int(s)) + ")"
	}
	return names[s]
}

// action is the work of one state. It makes at most one request (a parallel
// upload: of each part) and returns the state that follows, also when it fails.
type action func(*Uploader, context.Context) (State, error)

// transition is a row of the table above.
type transition struct {
	do action
	to []State // where do may lead, besides Paused and Failed
}

// transitions is the table of the state machine. A state without a row is final.
func transitions(s State) transition {
	switch s {
	case StateIdle:
		return transition{(*Uploader).prepare, []State{StateLocating, StateCreating, StateRecovering}}
	case StateLocating:
		return transition{(*Uploader).locate, []State{StateReady, StateIdle}}
	case StateCreating:
		return transition{(*Uploader).deliver, []State{StateReady, StateRecovering}}
	case StateReady:
		return transition{(*Uploader).deliver, []State{StateSending, StateConcatenating, StateFinishing}}
	case StateSending:
		return transition{(*Uploader).deliver, []State{StateReady, StateRecovering, StateCreating, StateIdle}}
	case StateRecovering:
		return transition{(*Uploader).deliver, []State{StateReady, StateSending, StateCreating, StateIdle}}
	case StateConcatenating:
		return transition{(*Uploader).deliver, []State{StateReady, StateRecovering}}
	case StateFinishing:
		return transition{(*Uploader).finish, []State{StateComplete}}
	case StatePaused:
		return transition{(*Uploader).unpause, []State{StateIdle, StateRecovering, StateFinishing}}
	}
	return transition{}
}

// allows reports whether the row permits next after from. Staying in a state is
// a retry.
func (t transition) allows(from, next State) bool {
	return next == from || next == StatePaused || next == StateFailed || slices.Contains(t.to, next)
}
