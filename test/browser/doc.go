// Package browser tests the dashboard in Chromium, against the program as
// people run it: its local broker and database, and the API.
//
// What any page does is watched throughout: a violation of the content
// security policy, a script error, or a request to another server fails the
// test that met it.
//
// The tests skip themselves where Chromium or axe-core is missing; test/browser/run
// installs both. `test/browser/run -run TestPictures -args -pictures DIR` takes
// pictures of every page.
package browser
