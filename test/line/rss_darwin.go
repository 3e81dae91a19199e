package line

// rssUnit is what rusage counts resident memory in.
const rssUnit = 1
