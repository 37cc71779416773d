"""Steps of recurrent nets and their memories."""
