module oracle

go 1.26.4

require (
	ariga.io/atlas v1.2.3
	github.com/lib/pq v1.10.9
)
