// What Traefik uses of the real one, without what it does: ../go.mod says why.
module github.com/go-acme/lego/v4

go 1.24.0
