// Package compose tests the stack of compose.yaml on a Docker daemon: each
// profile is brought up as a user does it, events of the producer service must
// arrive at the API, a killed service must come back, and `down` and `up` must
// lose nothing.
//
// The tests run where RUN_INTEGRATION_TESTS=1 is set. They need images, a
// daemon and a compose client, which the script `run` beside them makes; the
// tests call it when nobody has.
package compose
