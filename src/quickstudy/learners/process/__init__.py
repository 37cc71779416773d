"""Neural processes and in-context learners: a net reads the support set and answers, without steps."""
