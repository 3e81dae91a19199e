// Command millstream runs real-time pipelines from Kafka to PostgreSQL that
// are written as one file of SQL.
package main

import "os"

func main() {
	os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
