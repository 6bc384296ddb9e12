package source

const tcpNotSentLowat = 25 // TCP_NOTSENT_LOWAT
