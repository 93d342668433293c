"""What all background jobs share, and the job that forgets what is over."""
