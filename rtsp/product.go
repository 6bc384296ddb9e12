package rtsp

// productName is what we call ourselves: in Server and User-Agent, in session
// descriptions and as CNAME.
const productName = "MediaKit"
