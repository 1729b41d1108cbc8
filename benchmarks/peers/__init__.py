"""The same chat by other means, each as a user of those means would write it."""
