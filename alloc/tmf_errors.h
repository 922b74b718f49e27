/* SPDX-License-Identifier: MIT */
/*
 * Errors of tmfalloc. A function of this library returns 0 or an error: a positive errno that came
 * from the system, or one of the negative numbers below. tmf_strerror() speaks both.
 *
 * The first seven keep the meaning they have in TMFAlloc (EWRONGFILETYPE to EWRONGSIZE, and the
 * system's own errors in place of its IoError).
 */
#ifndef TMF_ERRORS_H
#define TMF_ERRORS_H

#define TMF_ERRORS(X)                                                                              \
    X(TMF_EWRONGFILETYPE, -1, "not a tmfalloc file: its first bytes are not ours")                 \
    X(TMF_EWRONGVERSION, -2, "written by another version of the file format")                      \
    X(TMF_EWRONGENDIAN, -3, "written on a machine of another byte order or word size")             \
    X(TMF_EWRONGMAGIC, -4, "the application's magic number is not the one stored in the file")     \
    X(TMF_EWRONGADDRESS, -5, "the storage cannot be mapped at the address it was made for")        \
    X(TMF_EWRONGSIZE, -6, "the storage has another size than was asked for, or is cut off")        \
    X(TMF_ECORRUPT, -7, "the storage is damaged: a check of its content failed")                   \
    X(TMF_EPOISONED, -8, "an earlier sync failed: close the storage and open it again")            \
    X(TMF_EFORKED, -9, "the storage was opened before fork(): open it again in the child")         \
    X(TMF_ENOTOWNER, -10, "the transaction belongs to another thread, or has ended")               \
    X(TMF_EBADBLOCK, -11, "no allocated block has this address and size; nothing was changed")     \
    X(TMF_ENOTSUPPORTED, -12, "not supported here")                                                \
    X(TMF_ESTRAY, -13, "the arena was stored to outside a transaction; that was undone")

enum tmf_error {
#define TMF_ERROR_ENUMERATOR(name, number, text) name = number,
    TMF_ERRORS(TMF_ERROR_ENUMERATOR)
#undef TMF_ERROR_ENUMERATOR
};

#endif
