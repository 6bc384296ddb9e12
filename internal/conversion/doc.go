// Package conversion proves which codec goes from which protocol or file to which
// other: its only test puts generated streams through every pair of them and
// compares what comes out with what went in, byte for byte. What it finds is
// CONVERSIONS.md at the top of the module, which it compares, or with -update
// writes.
//
// Reading: conversion_test.go, input_test.go, output_test.go, rtp_test.go, table_test.go.
package conversion
