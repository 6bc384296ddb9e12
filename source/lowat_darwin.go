package source

const tcpNotSentLowat = 0x201 // TCP_NOTSENT_LOWAT
