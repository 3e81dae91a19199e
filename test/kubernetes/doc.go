// Package kubernetes checks deploy/kubernetes without a cluster: it is rendered
// as `kubectl apply -k` would, every object is decoded strictly into the API's
// own types, the pods are held to pod security's "restricted" by the admission
// controller's own rules, and names that must agree do. The script `run` has the
// API's published schemas look at it too.
package kubernetes
