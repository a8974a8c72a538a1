"""The corpus that needs no network: review sentences made from a grammar of our own."""
