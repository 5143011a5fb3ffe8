module github.com/seed-175555ba/tus-go/integration

go 1.25.0

require github.com/seed-175555ba/tus-go v0.0.0

replace github.com/seed-175555ba/tus-go => ../
