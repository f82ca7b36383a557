package docker

import "hale/internal/engine"

// happened takes an event. Bad news counts at once; good news once the
// container was asked about, which may have another address by then.
func (f *following) happened(e engine.Event) {
	if f.asking > 0 {
		f.latest[e.ID] = f.seq
	}
	t := f.tracked[e.ID]
	switch e.Action {
	case "start", "restart", "die", "destroy", "remove", "connect", "disconnect":
		for _, id := range f.joined(e.ID) { // this may be their network's end, or another one
			f.mark(id)
		}
	}
	switch e.Action {
	case "destroy", "remove":
		delete(f.trouble, e.ID)
		f.drop(e.ID)
		f.news = true
		f.arm(settle)
		return
	case "start", "restart":
		f.started[e.ID] = true
	case "unpause", "rename", "update", "connect", "disconnect":
	case "health_status", "die", "oom", "pause", "kill", "stop":
		if t == nil {
			if f.started[e.ID] {
				f.mark(e.ID)
			}
			return
		}
		f.worsened(t, e)
	default:
		return
	}
	if e.ID != f.self || e.Action == "connect" || e.Action == "disconnect" {
		f.mark(e.ID)
	}
}

// worsened takes an event that a container's state follows from.
func (f *following) worsened(t *tracked, e engine.Event) {
	now := *t.facts.Load()
	s := &now.state
	switch e.Action {
	case "die":
		if e.Time.Before(s.StartedAt) {
			return // it was started since, and asked about
		}
		if e.ExitCode == 0 && t.mayFinish() {
			return // it may have done its work, which the answer to asking tells
		}
		s.Status, s.ExitCode = "exited", e.ExitCode
		s.Running, s.Paused = false, false
	case "oom":
		s.OOMKilled = true // not a failure as long as it runs
	case "pause":
		s.Status, s.Paused = "paused", true
	case "health_status":
		if s.Health != nil && e.Detail != "" {
			health := engine.Health{Status: e.Detail}
			s.Health = &health
		}
	case "kill", "stop":
		t.asked = true
		return
	}
	f.news = true
	t.tell(now)
}
