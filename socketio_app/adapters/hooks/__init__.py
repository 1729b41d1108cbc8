"""The host application's hooks: waiting calls, and the threads of hooks that are not async."""
