# Does no RSA itself: the calling core computes, which valgrind can follow.
rsa_private = software
rsa_public = software
