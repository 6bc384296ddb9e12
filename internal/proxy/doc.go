// Package proxy is what pull and push proxies have in common: a [Roster] of those
// that run, with their configurations in a file, and the [Progress] of each.
//
//	r := proxy.Roster[Config, *Job]{File: "jobs.json"}
//	kept, err := r.Kept()
//	for _, c := range kept { … }
//	err = r.Add(c.ID, c, &Job{…})
//	defer r.Close()
//
// roster.go, file.go: who runs; progress.go, log.go: how that goes; guard.go: when it goes
// wrong.
package proxy
