package tus

import (
	"context"
	"slices"
	"strconv"
)

// State is a state of an [Uploader].
//
//	state          a Step does                       and leads to
//	-------------  --------------------------------  ------------------------------
//	Idle           inspect the source, look it up    Creating; Locating if the store
//	               in the store, request the         has earlier uploads; Recovering
//	               capabilities (OPTIONS)            if the URL is external
//	Locating       request the offset (HEAD) of a    Ready with the furthest upload;
//	               stored upload that is not held    Idle if none is left
//	Creating       POST                              Ready; Recovering if the offset must
//	                                                 be requested
//	Ready          choose the next chunk             Sending; Finishing when all bytes
//	                                                 are acknowledged; Concatenating
//	                                                 when all parts are complete;
//	                                                 Paused at StopAt
//	Sending        PATCH                             Ready; after a failure
//	                                                 Recovering; if the upload is gone
//	                                                 Creating, or Idle if another
//	                                                 session created it
//	Recovering     HEAD                              Ready; if the upload is gone
//	                                                 Creating or Idle; Sending if an
//	                                                 empty upload needs a PATCH
//	Concatenating  POST of the final upload          Ready; Recovering if parts are
//	                                                 gone
//	Finishing      remove the record from the store  Complete
//	Paused         nothing                           Recovering; Idle if nothing was
//	                                                 created; Finishing if all bytes
//	                                                 are acknowledged
//
// From each of these states, [Uploader.Pause] or the end of the context leads to Paused, an
// error that is not retried to Failed, and [Uploader.Abort] to Aborted. Complete, Failed
// and Aborted are final.
//
// A parallel upload has the same states. A Step in Creating creates all parts, and one in
// Sending sends them all.
type State int

// The states of an [Uploader]. The table at [State] describes them.
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

// Final reports whether s is final: Step does not change it.
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

// action does the work of one state and returns the next state, also with an error. It
// sends at most one request, or in a parallel upload one for each part.
type action func(*Uploader, context.Context) (State, error)

// transition is a row of the table above.
type transition struct {
	do action
	to []State // states that may follow, besides Paused and Failed
}

// transitions returns the row of s in the table, empty for a final state.
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

// allows reports whether next may follow from. Staying in a state is a retry.
func (t transition) allows(from, next State) bool {
	return next == from || next == StatePaused || next == StateFailed || slices.Contains(t.to, next)
}
