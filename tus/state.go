package tus

import (
	"context"
	"strconv"
)

// State is a state of an [Uploader].
//
//	state          a Step does                       and leads to
//	-------------  --------------------------------  ------------------------------
//	Idle           inspect the source, look it up    Creating; Locating if the store
//	               in the store, request the         has earlier uploads; Recovering
//	               capabilities (OPTIONS)            if the URL is external; Complete
//	                                                 if it is already uploaded
//	Locating       request the offset (HEAD) of a    Ready with the furthest upload;
//	               stored upload that is not held    Complete if one is completed;
//	                                                 Idle if none is left
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
//	Finishing      remove the record from the        Complete
//	               store, or keep it as completed
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

// states is a set of states.
type states uint

func setOf(all ...State) (set states) {
	for _, s := range all {
		set |= 1 << s
	}
	return set
}

func (set states) has(s State) bool { return set&(1<<s) != 0 }

// transitions returns the row of the table for a state: its step and the states that may
// follow, besides the state itself, Paused and Failed. The step sends at most one request, or
// in a parallel upload one for each part, and returns the next state, also with an error.
func (u *Uploader) transitions(s State) (step func(context.Context) (State, error), to states) {
	switch s {
	case StateIdle:
		return u.prepare, setOf(StateLocating, StateCreating, StateRecovering, StateComplete)
	case StateLocating:
		return u.locate, setOf(StateReady, StateIdle, StateComplete)
	case StateCreating:
		return u.deliver, setOf(StateReady, StateRecovering)
	case StateReady:
		return u.deliver, setOf(StateSending, StateConcatenating, StateFinishing)
	case StateSending:
		return u.deliver, setOf(StateReady, StateRecovering, StateCreating, StateIdle)
	case StateRecovering:
		return u.deliver, setOf(StateReady, StateSending, StateCreating, StateIdle)
	case StateConcatenating:
		return u.deliver, setOf(StateReady, StateRecovering)
	case StateFinishing:
		return u.finish, setOf(StateComplete)
	case StatePaused:
		return u.unpause, setOf(StateIdle, StateRecovering, StateFinishing)
	}
	return nil, 0
}
