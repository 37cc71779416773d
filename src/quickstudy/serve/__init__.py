"""The service: tasks that are taught and asked over HTTP, kept in a store, answered by one learner."""
