"""Toys, programs and checks that several test modules share."""
