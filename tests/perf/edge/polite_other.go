//go:build !linux

package main

// giveWay does nothing: priorities are not of threads here.
func giveWay() error { return nil }

func atUsual(fn func() error) error { return fn() }
