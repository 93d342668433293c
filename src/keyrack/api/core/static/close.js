setTimeout(() => window.close(), 1500)
