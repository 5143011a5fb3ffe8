package tus

import "context"

// prepare is the step of StateIdle. It looks at the source, and asks the server
// for its capabilities only where the answer changes what is sent.
func (u *Uploader) prepare(ctx context.Context) (State, error) {
	err := u.planner.inspect(ctx)
	if err == nil {
		u.learn(func(s *status) { s.info = u.planner.info })
		err = u.planner.negotiateChecksum(ctx)
	}
	if err != nil {
		return u.failed(ctx, err)
	}
	if t := u.planner.resumeExternal(); t != nil {
		u.begin(t)
		return StateRecovering, nil
	}
	if u.record != nil && u.finder == nil {
		if err := u.lookup(ctx); err != nil {
			return u.failed(ctx, err)
		}
		if u.finder.undecided() {
			return StateLocating, nil
		}
	}
	work, err := u.planner.negotiate(ctx)
	if err != nil {
		return u.failed(ctx, err)
	}
	u.learn(func(s *status) { s.info = u.planner.info })
	if u.finder != nil && (u.opts.Held == HeldFail || !work.inOneRequest()) {
		r, err := u.finder.reserve(ctx)
		switch {
		case err != nil:
			return u.failed(ctx, err)
		case r == nil:
			return StateLocating, nil
		}
		u.setRecord(r)
	}
	u.begin(work)
	u.finder.startOver(ctx)
	return StateCreating, nil
}
