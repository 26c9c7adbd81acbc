"""What is used of OpenSSL's EVP: ciphers under a key that stays, in contexts that stay keyed."""

cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_CIPHER_CTX:
        pass
    ctypedef struct EVP_CIPHER:
        pass
    ctypedef struct ENGINE:
        pass
    enum:
        EVP_CTRL_AEAD_SET_TAG
    EVP_CIPHER_CTX* EVP_CIPHER_CTX_new()
    void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX*)
    int EVP_CIPHER_CTX_set_padding(EVP_CIPHER_CTX*, int)
    int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX*, int, int, void*)
    const EVP_CIPHER* EVP_aes_256_cbc()
    const EVP_CIPHER* EVP_aes_256_ecb()
    const EVP_CIPHER* EVP_aes_256_gcm()
    int EVP_EncryptInit_ex(EVP_CIPHER_CTX*, const EVP_CIPHER*, ENGINE*, const unsigned char*, const unsigned char*)
    int EVP_EncryptUpdate(EVP_CIPHER_CTX*, unsigned char*, int*, const unsigned char*, int)
    int EVP_DecryptInit_ex(EVP_CIPHER_CTX*, const EVP_CIPHER*, ENGINE*, const unsigned char*, const unsigned char*)
    int EVP_DecryptUpdate(EVP_CIPHER_CTX*, unsigned char*, int*, const unsigned char*, int)
    int EVP_DecryptFinal_ex(EVP_CIPHER_CTX*, unsigned char*, int*)
