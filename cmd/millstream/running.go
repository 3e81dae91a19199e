package main

import (
	"slices"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/plan"
)

// useRunning lets a verb that nobody has told where Kafka and PostgreSQL are
// use the local stack that runs: the pipeline's, or any if name is empty.
func (a *app) useRunning(name string) error {
	kafkaSaid := a.config.Origins["kafka.brokers"] != "default"
	databaseSaid := a.databaseSaid()
	if kafkaSaid && databaseSaid {
		return nil
	}
	note, err := pipeline.FindNote(name)
	if err != nil || note == nil {
		return err
	}
	// What was said by hand stands: one half of a stack is of no use.
	if kafkaSaid && a.config.Kafka.Brokers[0] != note.Kafka {
		return nil
	}
	a.config.Kafka.Brokers = []string{note.Kafka}
	if !databaseSaid {
		a.config.Database = config.Database{URL: config.Secret(note.Postgres)}
	}
	if a.config.Serve.Listen == "" {
		a.config.Serve.Listen = note.API
	}
	return nil
}

// databaseSaid tells whether a setting says where PostgreSQL is.
func (a *app) databaseSaid() bool {
	return slices.ContainsFunc(
		[]string{"database.url", "database.host", "database.port", "database.name", "database.user"},
		func(key string) bool { return a.config.Origins[key] != "default" })
}

// note lets other verbs find a pipeline on the local stack.
func (a *app) note(p *pipeline.Pipeline) (remove func()) {
	if !a.config.Local.Enabled {
		return func() {}
	}
	addresses := p.Addresses()
	note := pipeline.Note{Pipeline: p.Name, API: addresses.API, Kafka: addresses.Kafka, Postgres: addresses.Postgres}
	for _, t := range p.Plan.Topics {
		if t.Server == plan.DefaultServer && !slices.Contains(note.Topics, t.Topic) {
			note.Topics = append(note.Topics, t.Topic)
		}
	}
	remove, err := pipeline.LeaveNote(note)
	if err != nil {
		a.log.Warn("other verbs won't find this stack by themselves", "error", err)
	}
	return remove
}
